import { Command } from 'commander';
import { workflowSchema } from '../workflow/schema.ts';

/** `cofferdam schema`: the JSON Schema of workflow files, for editors. */
export function command(): Command {
  return new Command('schema').description('print the JSON Schema of workflow files').action(() => {
    process.stdout.write(`${JSON.stringify(workflowSchema, null, 2)}\n`);
  });
}
