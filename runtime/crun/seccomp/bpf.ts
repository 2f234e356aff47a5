/**
 * Classic BPF, as seccomp(2) takes it: an array of `struct sock_filter { u16 code; u8 jt; u8 jf; u32 k; }`.
 * A program here is a list of instructions whose jumps are relative, so that pieces can be joined.
 */
export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

export type Program = readonly Instruction[];

const op = (code: number) => (k: number, jt: number, jf: number) => ({ code, jt, jf, k: k >>> 0 });

/** Loads the 32-bit word at this offset of `struct seccomp_data`. */
export const load = (offset: number): Instruction => op(0x20)(offset, 0, 0);
export const and = (mask: number): Instruction => op(0x54)(mask, 0, 0);
export const jumpIfEqual = op(0x15);
export const jumpIfAbove = op(0x25);
const jumpIfAtLeast = op(0x35);
const jump = (distance: number): Instruction => op(0x05)(distance, 0, 0);
export const give = (result: number): Instruction => op(0x06)(result, 0, 0);

/** Values that a filter returns. */
export const outcome = { allow: 0x7fff0000, errno: (errno: number) => 0x00050000 | errno };

/** `accumulator >= k ? high : low`; the jumps of one instruction reach 255 others, so a long `low` is jumped over. */
export function branch(k: number, low: Program, high: Program): Program {
  return low.length <= 255
    ? [jumpIfAtLeast(k, low.length, 0), ...low, ...high]
    : [jumpIfAtLeast(k, 0, 1), jump(low.length), ...low, ...high];
}

/** The most instructions the kernel takes (BPF_MAXINSNS, linux/bpf_common.h). */
const maxInstructions = 4096;

/** As bytes, in the byte order of x86-64 and arm64. */
export function encode(program: Program): Buffer {
  if (program.length > maxInstructions)
    throw new RangeError(`seccomp filter of ${program.length} instructions`);
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(({ code, jt, jf, k }, i) => {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(jt, i * 8 + 2);
    bytes.writeUInt8(jf, i * 8 + 3);
    bytes.writeUInt32LE(k, i * 8 + 4);
  });
  return bytes;
}
