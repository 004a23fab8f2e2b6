-- Health of a NameServer, BrokerSet, Topic or ConsumerGroup, from the conditions that kstatus reads, too.
-- Argo CD without it takes a resource for healthy as soon as it exists.
local health = { status = "Progressing", message = "the operator has not seen it yet" }
if obj.status == nil or obj.status.conditions == nil then
  return health
end
local byType = {}
for _, condition in ipairs(obj.status.conditions) do
  local isOld = condition.observedGeneration ~= nil and condition.observedGeneration < obj.metadata.generation
  if isOld then
    health.message = "the operator has not seen the change yet"
    return health
  end
  byType[condition.type] = condition
end
local function isTrue(condition)
  return condition ~= nil and condition.status == "True"
end
local function say(status, condition)
  return { status = status, message = condition.reason .. ": " .. condition.message }
end
local ready = byType.Ready
if isTrue(byType.Stalled) then -- only a person can help
  return say("Degraded", byType.Stalled)
end
if isTrue(byType.Hibernated) then
  return say("Suspended", byType.Hibernated)
end
if isTrue(byType.Paused) then
  return say("Suspended", byType.Paused)
end
if ready == nil then
  return health
end
if ready.reason == "ClusterHibernated" then -- nothing is wrong with a topic whose brokers sleep, and nothing moves
  return say("Suspended", ready)
end
if isTrue(ready) then
  return say("Healthy", ready)
end
return say("Progressing", ready)
