const factors: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/**
 * A Kubernetes quantity as a number; beyond 2^53 it is rounded. NaN for a text that is none: it is neither more nor less than
 * anything. Source: k8s.io/apimachinery, resource.Quantity.
 */
export function quantityOf(quantity: string | number): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([KMGTPE]i|[numkMGTPE]))?$/.exec(String(quantity))
  if (!match) return Number.NaN
  const [, digits = '', exponent = '0', suffix = ''] = match
  return Number(`${digits}e${exponent}`) * (factors[suffix] ?? Number.NaN)
}

/** As quantityOf, of bytes, of which there are no fewer than none: NaN for a negative one. */
export function bytesOf(quantity: string | number): number {
  const bytes = quantityOf(quantity)
  return bytes < 0 ? Number.NaN : bytes
}
