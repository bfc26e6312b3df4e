-- ARGV: key, now, no token, until when, id, fingerprint. Whoever holds the key is dead, or about to note the same id. What
-- a holder noted itself stands, since its client was told of it; of two ids from storage the later stands.
local name, now, token, until_ms, id, fingerprint = unpack(ARGV)
local held = held_key(name, now)
if held and held.id and (held.token ~= '' or held.id >= id) then return 0 end
note_key(name, now, token, until_ms, id, fingerprint)
return 1
