/**
 * Chat templates for tests.
 *
 * @module
 */
import { ChatTemplate, type RenderLimits } from "../../src/chat/chat_template.ts";

/** Starts the worker that renders. */
export function openTemplateWorker(): Worker {
  return new Worker(new URL("../../src/chat/template_worker.ts", import.meta.url), { type: "module" });
}

/** A template with the special tokens of Llama. */
export function templateOf(source: string, limits: RenderLimits = {}): ChatTemplate {
  return new ChatTemplate(source, { bos_token: "<s>", eos_token: "</s>" }, openTemplateWorker, limits);
}
