import { createReadStream } from 'node:fs';
import { UsageError } from '../usage.ts';
import { WorkflowError } from './problem.ts';
import { maxFileBytes, type WorkflowText } from './workflow-text.ts';

/**
 * Reads a workflow file, of which it never takes in much more than 1 MiB. Throws UsageError when it cannot be read, and
 * WorkflowError when it is not text.
 */
export async function readWorkflowText(file: string): Promise<WorkflowText> {
  const bytes = await contentOf(file);
  try {
    return { file, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    const problem = { file, line: 1, column: 1, message: 'the file is not UTF-8 text' };
    throw new WorkflowError([problem], { cause: error });
  }
}

async function contentOf(file: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of createReadStream(file)) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxFileBytes) break;
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`cannot read the workflow file ${file}: ${reason}`, { cause: error });
  }
  return Buffer.concat(chunks);
}
