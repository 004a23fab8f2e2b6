/** What a pod of ours is for, and how the container is named that does it. */
export type RoleName = (typeof roleNames)[number]

const roleNames = ['namesrv', 'broker'] as const

/** Whether it is our container of a pod. There may be others, before it too: what injects them does not ask. */
export function isOfRole({ name }: { name: string }): boolean {
  return roleNames.some((role) => role === name)
}
