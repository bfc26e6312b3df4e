-- ARGV: id of a job or batch.
forget_key(ARGV[1])
return 1
