/** Copies of a text, some bytes or a list with a part left out: the large parts first. None for anything else. */
export function* smaller<Input>(input: Input): Generator<Input> {
  const length =
    typeof input === 'string' || Array.isArray(input) || Buffer.isBuffer(input) ? input.length : 0;
  for (let part = length; part >= 1; part >>= 1) {
    for (let at = 0; at + part <= length; at += part) yield without(input, at, part);
  }
}

function without<Input>(input: Input, at: number, count: number): Input {
  const left: unknown = Array.isArray(input)
    ? input.toSpliced(at, count)
    : Buffer.isBuffer(input)
      ? Buffer.concat([input.subarray(0, at), input.subarray(at + count)])
      : typeof input === 'string'
        ? input.slice(0, at) + input.slice(at + count)
        : input;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a part of an Input of these kinds is one
  return left as Input;
}
