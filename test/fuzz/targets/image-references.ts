import {
  canonical,
  ImageReferenceError,
  parseReference,
  type Reference,
} from '../../../runtime/images/reference.ts';
import { dockerName } from '../../../runtime/images/skopeo.ts';
import { mutateText, oddities, oneOf, textOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const texts = [
  'debian:12',
  'ghcr.io/owner/name:1.0',
  `localhost:5000/a/b@${digest}`,
  `127.0.0.1:5000/a:t@${digest}`,
  '[::1]:5000/a',
  'bootstrap:bookworm+build-essential,g++',
  'bootstrap:bookworm+make/git,curl',
];
const pieces = [
  ...words(
    '/ .. . : @ + , - -- _ __ [ ] \\ %2e ? # sha256: docker.io index.docker.io/ library/ localhost bootstrap:',
  ),
  ...words('docker:// oci: dir:/ a A $(id) ` \' " ; | * ~ ='),
  ...oddities,
  digest,
  'x'.repeat(130),
];

/** What a workflow names as its image. */
export const imageReferences: Target<string> = {
  name: 'image-references',
  promise: 'a reference has one spelling, which means the same, and cannot be taken for an option or a path',
  rounds: 10_000,
  outcomes: ['registry', 'bootstrap', 'refused'],
  cases: [],
  open: () => ({
    make: (random) =>
      random.chance(0.8) ? mutateText(random, oneOf(random, texts), pieces) : textOf(random, pieces, 6),
    check: (text) => {
      let reference: Reference;
      try {
        reference = parseReference(text, () => false);
      } catch (error) {
        if (error instanceof ImageReferenceError && error.message !== '') return 'refused';
        throw error;
      }
      if (canonical(parseReference(canonical(reference), () => false)) !== canonical(reference))
        throw new Error(`${canonical(reference)} means something else when it is read again`);
      if (reference.kind === 'registry') {
        const name = dockerName(reference, reference.digest);
        if (
          !/^docker:\/\/[A-Za-z0-9[][A-Za-z0-9.:\]-]*(\/[a-z0-9][a-z0-9._-]*)+(:\w[\w.-]*|@sha256:[0-9a-f]{64})$/.test(
            name,
          )
        )
          throw new Error(`skopeo would get ${name}`);
      } else if (reference.kind === 'bootstrap') {
        const { suite, packages, added } = reference;
        for (const word of [suite, ...packages, ...added]) {
          if (!/^[a-z0-9][a-z0-9+.-]*[a-z0-9+.]$/.test(word)) throw new Error(`apt would get ${word}`);
        }
      }
      return reference.kind;
    },
  }),
};
