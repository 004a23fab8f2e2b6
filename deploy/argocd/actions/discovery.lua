-- What Argo CD offers to do with a NameServer, BrokerSet, Topic or ConsumerGroup.
local isPaused = obj.spec.paused == true
local actions = {
  pause = { disabled = isPaused },
  resume = { disabled = not isPaused },
}
if obj.kind == "NameServer" or obj.kind == "BrokerSet" then -- the others have no pods
  actions.restart = { disabled = isPaused or obj.spec.hibernate == true }
end
return actions
