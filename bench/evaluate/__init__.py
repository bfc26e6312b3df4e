"""How accurate the service is, on anyone's folder of photos: `make evaluate PHOTOS=DIR`."""
