import type { ForgeKind } from '../repositories.ts';

/** What to enter where, so that a forge sends its events. */
const steps: Readonly<Record<ForgeKind, string>> = {
  github:
    'On GitHub: Settings > Webhooks > Add webhook. Payload URL and Secret as above, Content type application/json, SSL ' +
    'verification on, "Let me select individual events": Pushes, Pull requests.',
  gitlab:
    'On GitLab: Settings > Webhooks > Add new webhook. URL and Secret token as above, Trigger: Push events, Tag push ' +
    'events, Merge request events; SSL verification on.',
  gitea: giteaLike('Gitea'),
  forgejo: giteaLike('Forgejo'),
  bitbucket:
    'On Bitbucket: Repository settings > Webhooks > Add webhook. URL and Secret as above, Triggers: Repository push; ' +
    'Pull request created and updated (Data Center: opened, source branch updated).',
  generic:
    'On the git server: install examples/hooks/post-receive as a hook of the repository; its README says where the URL and ' +
    'the secret above go.',
};

export function webhookHelp(forge: ForgeKind): string {
  return steps[forge];
}

function giteaLike(name: string): string {
  return (
    `On ${name}: Settings > Webhooks > Add webhook > ${name}. Target URL and Secret as above, HTTP method POST, POST content ` +
    'type application/json, Trigger on custom events: Push, Pull request, Pull request synchronized.'
  );
}
