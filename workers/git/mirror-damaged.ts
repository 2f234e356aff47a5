/** A mirror lacks what it must have, or cannot be read: it is to be made anew. */
export class MirrorDamaged extends Error {
  override readonly name = 'MirrorDamaged';
}
