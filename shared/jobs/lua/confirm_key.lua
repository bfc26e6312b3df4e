-- ARGV: key, now, token, until when, id, fingerprint. Returns 1 if the key is noted as used for the id.
local name, now, token, until_ms, id, fingerprint = unpack(ARGV)
local held = held_key(name, now)
if held and held.id and held.id ~= id then return 0 end
if held and not held.id and held.token ~= token then return 0 end
note_key(name, now, token, until_ms, id, fingerprint)
return 1
