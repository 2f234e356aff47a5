import { Type } from 'typebox';
import { object, oneOf } from './json-schema.ts';

export const webhookSecret = {
  type: 'string',
  minLength: 16,
  maxLength: 256,
  pattern: '^[!-~]+$',
  description: 'What the forge signs with; default: 256 random bits. Never answered again.',
};

/** The body of POST /v1/repos/:name/webhook-secret. */
export const WebhookSecretRequest = Type.Unsafe<
  { readonly step: 'begin' | 'replace'; readonly secret?: string } | { readonly step: 'finish' }
>({
  $id: 'WebhookSecretRequest',
  type: 'object',
  required: ['step'],
  discriminator: { propertyName: 'step' },
  oneOf: [
    object(
      {
        step: oneOf(['begin', 'replace'], '`begin`: the old one is accepted too, until `finish`.'),
        secret: webhookSecret,
      },
      { required: ['step'] },
    ),
    object({ step: { const: 'finish' } }, { required: ['step'] }),
  ],
});

export const WebhookSchema = Type.Unsafe<{ readonly url: string; readonly secret?: string }>({
  $id: 'Webhook',
  type: 'object',
  properties: {
    url: { type: 'string', description: 'Where its forge sends webhooks to.' },
    secret: { type: 'string', description: 'Shown this once.' },
  },
  required: ['url'],
});

export const webhookSchemas = [WebhookSecretRequest, WebhookSchema];
