"""Python client of facefit: face photos in, measurements in millimetres out.

>>> from facefit import Client
>>> with Client() as facefit:  # doctest: +SKIP
...     print(facefit.measure("photo.jpg").face.measurements["face_width"].mm)
"""

from facefit.async_client import AsyncClient
from facefit.client import Client
from facefit.errors import (
    ApiError,
    ConfigurationError,
    Conflict,
    FacefitError,
    InvalidRequest,
    InvalidWebhook,
    JobCancelled,
    JobEndedWithoutResult,
    JobFailed,
    NotFound,
    PhotoRejected,
    PhotoUnreadable,
    RateLimited,
    ServerFault,
    ServiceUnreachable,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    UploadRefused,
    WaitTimeout,
)
from facefit.retries import RetryPolicy
from facefit.version import VERSION
from facefit.webhooks import Webhook, WebhookEvent

__version__ = VERSION

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ConfigurationError",
    "Conflict",
    "FacefitError",
    "InvalidRequest",
    "InvalidWebhook",
    "JobCancelled",
    "JobEndedWithoutResult",
    "JobFailed",
    "NotFound",
    "PhotoRejected",
    "PhotoUnreadable",
    "RateLimited",
    "RetryPolicy",
    "ServerFault",
    "ServiceUnreachable",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "UploadRefused",
    "WaitTimeout",
    "Webhook",
    "WebhookEvent",
    "__version__",
]
