import type { ForgeKind } from '../repositories.ts';
import { bitbucket } from './bitbucket.ts';
import type { Forge } from './forge.ts';
import { generic } from './generic.ts';
import { forgejo, gitea } from './gitea.ts';
import { github } from './github.ts';
import { gitlab } from './gitlab.ts';

const forges: Readonly<Record<ForgeKind, Forge>> = { github, gitlab, gitea, forgejo, bitbucket, generic };

/** How a kind of forge speaks. */
export function forgeOf(kind: ForgeKind): Forge {
  return forges[kind];
}
