-- ARGV: id, token, lease until. Returns 1 if the claim is valid; its lease begins anew.
local id, token, lease_until = ARGV[1], ARGV[2], ARGV[3]
local job = load(id)
if not job or job.fetch_token ~= token then return 0 end
lease(id, job, lease_until)
return 1
