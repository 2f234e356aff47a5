import { secretFiles, settings, stepEnvironment } from './environment-schema.ts';
import {
  artifacts,
  commands,
  dependencies,
  duration,
  flag,
  image,
  name,
  packages,
  path,
  words,
} from './value-schema.ts';
import { stepWhenSchema } from './when-schema.ts';

/** The shape of a step; plain data, as schema.ts says why. */

export const privileged = {
  ...flag,
  description: 'Only false: no build has more rights than another.',
} as const;

export const pull = {
  ...flag,
  description: 'true: ask the registry also when the image is here already.',
} as const;

export const entrypoint = {
  ...words,
  description:
    "What is run instead of the image's own entrypoint; `commands` are in CI_SCRIPT then, as base64.",
} as const;

export const directory = {
  ...path,
  description: 'Where it runs: absolute, or relative to the workspace.',
} as const;

export const stepSchema = {
  type: 'object',
  title: 'step',
  description:
    'Commands in a container, or an image that knows what to do (a plugin). Steps with no image of their own share ' +
    'one container.',
  additionalProperties: false,
  properties: {
    name,
    image,
    packages,
    commands,
    script: { ...commands, description: 'Another name of `commands`.' },
    entrypoint,
    settings,
    environment: stepEnvironment,
    secrets: secretFiles,
    directory,
    depends_on: {
      ...dependencies,
      description:
        'Steps that must have ended before. As soon as one step says this, steps without it begin at once.',
    },
    needs: { ...dependencies, description: 'Another name of `depends_on`.' },
    when: stepWhenSchema,
    failure: {
      type: 'string',
      enum: ['fail', 'ignore', 'cancel'],
      description:
        'ignore: the build goes on as if the step had passed; cancel: all other workflows end too. Default: fail.',
    },
    detach: { ...flag, description: 'true: it runs in the background until the workflow ends.' },
    pull,
    timeout: {
      ...duration,
      description: 'How long the step may take; 1s to 168h. Default: as long as the workflow.',
    },
    artifacts: { ...artifacts, description: 'Files to keep after the build, by how this step ended.' },
    privileged,
  },
} as const;
