-- ARGV: id. Forgets a batch, but for which items have a record.
local id = ARGV[1]
local tenant = redis.call('HGET', batch_key(id), 'tenant')
redis.call('DEL', batch_key(id), P .. 'batch_gone:' .. id)
redis.call('ZREM', P .. 'batch_expiry', id)
redis.call('ZREM', P .. 'open_batches', id)
forget_key(id)
if tenant then
  redis.call('ZREM', P .. 'batches:' .. tenant, id)
  redis.call('SREM', P .. 'open_batches:' .. tenant, id)
end
wake(id)
return 1
