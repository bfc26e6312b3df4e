-- ARGV: now, then ids. Forgets the records of items; what becomes of their objects is known elsewhere.
for i = 2, #ARGV do
  local job = load(ARGV[i])
  if job then forget(ARGV[i], job, ARGV[1]) end
  wake(ARGV[i])
end
return 1
