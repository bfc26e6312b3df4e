-- ARGV: key, now, token, until when, id, fingerprint. Whoever holds the key is dead, or about to note the same id; of two
-- ids the later stands: it is the one that its client was told of.
local name, now, token, until_ms, id, fingerprint = unpack(ARGV)
local held = held_key(name, now)
if held and held.id and held.id >= id then return 0 end
note_key(name, now, token, until_ms, id, fingerprint)
return 1
