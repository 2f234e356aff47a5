import { settings, stepEnvironment } from './environment-schema.ts';
import { directory, entrypoint, privileged, pull } from './step-schema.ts';
import { commands, duration, image, packages, words } from './value-schema.ts';
import { stepWhenSchema } from './when-schema.ts';

/** The shape of a service; plain data, as schema.ts says why. */

const port = { type: 'integer', title: 'port (1 to 65535)', minimum: 1, maximum: 65_535 } as const;

const ready = {
  anyOf: [
    { type: 'string', enum: ['none'] },
    {
      type: 'object',
      title: 'readiness',
      additionalProperties: false,
      properties: {
        command: {
          ...words,
          description: 'Text for a shell, or a list: in the service, until it exits with 0.',
        },
        tcp: { ...port, description: 'Until the port takes connections.' },
        http: {
          anyOf: [
            port,
            {
              type: 'string',
              title: 'port and path',
              examples: [':8080/health'],
              pattern: '^(http://localhost)?:?[1-9][0-9]{0,4}(/[!-~]*)?$',
              maxLength: 1024,
            },
          ],
          title: 'port and path',
          examples: [':8080/health'],
          description: 'Until GET is answered with 2xx or 3xx.',
        },
        log: {
          type: 'string',
          title: 'text',
          description: 'Until the service has written this text.',
          minLength: 1,
          maxLength: 1024,
        },
        timeout: { ...duration, description: 'How long that may take; 1s to 168h. Default: 1m.' },
      },
    },
  ],
  title: 'readiness (none, or map of command, tcp, http or log)',
  description: 'When steps can begin. Default: as the HEALTHCHECK of the image says, if it has one.',
} as const;

export const serviceSchema = {
  type: 'object',
  title: 'service',
  description: 'A container that runs beside the steps; they reach it by its name, and at localhost.',
  required: ['image'],
  additionalProperties: false,
  properties: {
    name: {
      type: 'string',
      title: 'host name',
      description: 'By which steps reach it.',
      examples: ['database'],
      pattern: '^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$',
      maxLength: 63,
    },
    image,
    packages,
    commands,
    entrypoint,
    settings,
    environment: stepEnvironment,
    directory,
    ready,
    when: stepWhenSchema,
    failure: {
      type: 'string',
      enum: ['fail', 'ignore'],
      description: 'ignore: the build does not fail with it. Default: fail.',
    },
    pull,
    ports: {
      type: 'array',
      items: { anyOf: [port, { type: 'string', title: 'port', pattern: '^[0-9]{1,5}(/(tcp|udp))?$' }] },
      title: 'list of ports',
      description: 'Has no effect: all ports can be reached.',
    },
    privileged,
  },
} as const;
