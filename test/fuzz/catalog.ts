import { runCampaign } from './campaign.ts';
import type { Budget, Report, Target } from './target.ts';
import { eventStreams, positions } from './targets/log-requests.ts';
import { expressions } from './targets/expressions.ts';
import { globs } from './targets/globs.ts';
import { gitRefs, gitUrls } from './targets/git-names.ts';
import { holderFiles } from './targets/holder-files.ts';
import { holderMessages } from './targets/holder-messages.ts';
import { imageReferences } from './targets/image-references.ts';
import { injections } from './targets/injections.ts';
import { layers } from './targets/layers.ts';
import { manifests } from './targets/manifests.ts';
import { masks } from './targets/masks.ts';
import { snapshots } from './targets/snapshots.ts';
import { substitutions } from './targets/substitutions.ts';
import { uploads } from './targets/uploads.ts';
import { webhooks } from './targets/webhooks.ts';
import { workflows } from './targets/workflows.ts';

/** A target with whatever its inputs are hidden. */
export interface Campaign extends Pick<Target<unknown>, 'promise' | 'rounds' | 'outcomes'> {
  run(budget: Budget, begin: (round: number) => void): Promise<Report>;
}

function campaign<Input>(target: Target<Input>): [string, Campaign] {
  const { promise, rounds, outcomes } = target;
  return [
    target.name,
    { promise, rounds, outcomes, run: (budget, begin) => runCampaign(target, budget, begin) },
  ];
}

/** Everything that is fuzzed, by name. */
export const campaigns: ReadonlyMap<string, Campaign> = new Map([
  campaign(workflows),
  campaign(injections),
  campaign(expressions),
  campaign(globs),
  campaign(substitutions),
  campaign(imageReferences),
  campaign(manifests),
  campaign(gitUrls),
  campaign(gitRefs),
  campaign(layers),
  campaign(snapshots),
  campaign(holderMessages),
  campaign(holderFiles),
  campaign(webhooks),
  campaign(masks),
  campaign(uploads),
  campaign(eventStreams),
  campaign(positions),
]);
