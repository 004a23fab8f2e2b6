-- Health of a NameServer, BrokerSet, Topic or ConsumerGroup, from the conditions that kstatus reads, too.
-- Argo CD without it takes a resource for healthy as soon as it exists.
local health = { status = "Progressing", message = "the operator has not seen it yet" }
if obj.status == nil or obj.status.conditions == nil then
  return health
end
local ready
for _, condition in ipairs(obj.status.conditions) do
  local isOld = condition.observedGeneration ~= nil and condition.observedGeneration < obj.metadata.generation
  if isOld then
    health.message = "the operator has not seen the change yet"
    return health
  end
  if condition.type == "Stalled" and condition.status == "True" then -- only a person can help
    health.status = "Degraded"
    health.message = condition.reason .. ": " .. condition.message
    return health
  end
  if condition.type == "Ready" then
    ready = condition
  end
end
if ready ~= nil then
  health.message = ready.reason .. ": " .. ready.message
  if ready.status == "True" then
    health.status = "Healthy"
  end
end
return health
