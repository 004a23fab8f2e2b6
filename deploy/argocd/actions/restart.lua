-- Restarts the pods one at a time: any new value of the annotation does.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["rocketmq.alt/restart-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
