/**
 * Finds many patterns in a stream of bytes, in time that grows with the stream alone, whatever it holds: Aho and
 * Corasick's automaton (CACM 18(6), 1975), with Wu and Manber's shifts (TR 94-17, University of Arizona) to skip what
 * cannot begin a pattern. Its memory is some 20 bytes for each byte of the patterns.
 */
export interface Automaton {
  /**
   * Reads on from `state` (0 at the beginning) and tells of each place where patterns end, in order: how many bytes
   * were read by then, and the length of the longest of them. Returns the new state.
   */
  scan(chunk: Buffer, state: number, found: (end: number, length: number) => void): number;
  /** How many of the bytes read last may be the beginning of a pattern. */
  open(state: number): number;
}

const blockBytes = 3;

/** @param patterns each of at least three bytes */
export function createAutomaton(patterns: readonly Buffer[]): Automaton {
  const trie = createTrie(patterns);
  const { first, firstByte, others, links, depth, longest, root } = trie;
  const shifts = createShifts(patterns);
  const { window, table } = shifts;

  /** The state after another byte; amortised constant time, as links only lead to lesser depth. */
  const next = (from: number, byte: number): number => {
    for (let state = from; state !== 0; state = links[state] ?? 0) {
      if (firstByte[state] === byte) return first[state] ?? 0;
      const other = firstByte[state] === branching ? others.get(state * 256 + byte) : undefined;
      if (other !== undefined) return other;
    }
    return root[byte] ?? 0;
  };

  return {
    scan: (chunk, begin, found) => {
      let state = begin;
      const last = chunk.length - window;
      for (let at = 0; at < chunk.length; at++) {
        if (state === 0) {
          while (at <= last) {
            const end = at + window;
            const shift = table[hash(chunk[end - 3] ?? 0, chunk[end - 2] ?? 0, chunk[end - 1] ?? 0)] ?? 0;
            if (shift === 0) break;
            at += shift;
          }
          if (at >= chunk.length) break;
        }
        state = next(state, chunk[at] ?? 0);
        const length = longest[state] ?? 0;
        if (length > 0) found(at + 1, length);
      }
      return state;
    },
    open: (state) => depth[state] ?? 0,
  };
}

/** In place of a byte: the state has several successors, or none. */
const branching = -1;

interface Trie {
  /** The only successor of a state, and its byte; those of states with several are in `others` by state * 256 + byte. */
  readonly first: Int32Array;
  readonly firstByte: Int16Array;
  readonly others: ReadonlyMap<number, number>;
  /** Successors of the root, by byte. */
  readonly root: Int32Array;
  /** To the state of the longest proper suffix. */
  readonly links: Int32Array;
  readonly depth: Int32Array;
  /** Length of the longest pattern that ends in a state; 0: none does. */
  readonly longest: Int32Array;
}

function createTrie(patterns: readonly Buffer[]): Trie {
  const most = patterns.reduce((sum, { length }) => sum + length, 1);
  const first = new Int32Array(most);
  const firstByte = new Int16Array(most).fill(branching);
  const others = new Map<number, number>();
  const root = new Int32Array(256);
  const links = new Int32Array(most);
  const depth = new Int32Array(most);
  const longest = new Int32Array(most);
  /** The state that each state was made from. */
  const parent = new Int32Array(most);
  const byteTo = new Uint8Array(most);
  let count = 1;

  const child = (state: number, byte: number): number => {
    if (state === 0) return root[byte] ?? 0;
    if (firstByte[state] === byte) return first[state] ?? 0;
    return others.get(state * 256 + byte) ?? 0;
  };
  const add = (state: number, byte: number): number => {
    const made = count++;
    parent[made] = state;
    byteTo[made] = byte;
    depth[made] = (depth[state] ?? 0) + 1;
    if (state === 0) root[byte] = made;
    else if (first[state] === 0) {
      first[state] = made;
      firstByte[state] = byte;
    } else {
      const before = firstByte[state] ?? branching;
      if (before !== branching) others.set(state * 256 + before, first[state] ?? 0);
      firstByte[state] = branching;
      others.set(state * 256 + byte, made);
    }
    return made;
  };
  for (const pattern of patterns) {
    let state = 0;
    for (const byte of pattern) state = child(state, byte) || add(state, byte);
    longest[state] = pattern.length;
  }

  // Shorter before longer, as the link of a state is made from that of its parent.
  for (const state of byDepth(depth.subarray(0, count))) {
    if (state === 0) continue;
    const byte = byteTo[state] ?? 0;
    const from = parent[state] ?? 0;
    if (from !== 0) {
      let link = links[from] ?? 0;
      while (link !== 0 && child(link, byte) === 0) link = links[link] ?? 0;
      links[state] = child(link, byte);
    }
    if (longest[state] === 0) longest[state] = longest[links[state] ?? 0] ?? 0;
  }
  return { first, firstByte, others, root, links, depth, longest };
}

/** States by their depth (counting sort). */
function byDepth(depth: Int32Array): Int32Array {
  const deepest = depth.reduce((most, each) => Math.max(most, each), 0);
  const places = new Int32Array(deepest + 2);
  for (const each of depth) places[each + 1] = (places[each + 1] ?? 0) + 1;
  for (let i = 1; i < places.length; i++) places[i] = (places[i] ?? 0) + (places[i - 1] ?? 0);
  const sorted = new Int32Array(depth.length);
  for (const [state, each] of depth.entries()) {
    const place = places[each] ?? 0;
    sorted[place] = state;
    places[each] = place + 1;
  }
  return sorted;
}

interface Shifts {
  /** Bytes of which the last three are looked at. */
  readonly window: number;
  /** By the hash of these: where no pattern begins, from the window's begin on. */
  readonly table: Uint8Array;
}

function createShifts(patterns: readonly Buffer[]): Shifts {
  const window = patterns.reduce((least, { length }) => Math.min(least, length), 200);
  if (window < blockBytes) throw new TypeError(`a pattern has ${window} bytes and needs ${blockBytes}`);
  const table = new Uint8Array(65_536).fill(window - blockBytes + 1);
  for (const pattern of patterns) {
    for (let end = blockBytes; end <= window; end++) {
      const key = hash(pattern[end - 3] ?? 0, pattern[end - 2] ?? 0, pattern[end - 1] ?? 0);
      table[key] = Math.min(table[key] ?? 0, window - end);
    }
  }
  return { window, table };
}

function hash(a: number, b: number, c: number): number {
  return (a ^ (b << 4) ^ (c << 8)) & 0xffff;
}
