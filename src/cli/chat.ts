/**
 * `skein chat`: a conversation in the terminal.
 *
 * @module
 */
import type { Model, Session } from "../../mod.ts";
import { type Message, renderChat } from "./chat_template.ts";
import { type Command, defineCommand, expectPositionals } from "./command.ts";
import { generateOptions, samplingOptions } from "./generate.ts";
import { modelOptions, openModel } from "./loading.ts";
import { text } from "./options.ts";

const { json: _noJson, ...plainModelOptions } = modelOptions;
const options = {
  "system": text("TEXT", "What the assistant is told before the conversation"),
  ...samplingOptions,
  ...plainModelOptions,
};

/** The command. */
export const chat: Command = defineCommand({
  summary: "Talk with a model; Ctrl-C stops an answer, Ctrl-D ends",
  usage: "MODEL",
  options,
  run: async ({ positionals, values, terminal, signal, renewSignal }) => {
    const [source] = expectPositionals(positionals, ["MODEL"]) as [string];
    using model = await openModel(source, { ...values, json: false }, { terminal, signal });
    using session = model.createSession();
    const template = model.tokenizer.chatTemplate;
    if (template === undefined) {
      terminal.note("This model has no chat template: it continues your text instead of answering");
    }
    const history: Message[] = values.system === undefined ? [] : [{ role: "system", content: values.system }];
    const prompt = () => Deno.stdin.isTerminal() && terminal.aside("> ");
    prompt();
    for await (const line of linesOf(Deno.stdin.readable, () => renewSignal())) {
      if (line.trim() !== "") {
        const answering = renewSignal();
        if (template === undefined) {
          session.append(session.length === 0 ? line : `\n${line}`);
        } else {
          history.push({ role: "user", content: line });
          await feed(model, session, template, history);
        }
        const answer = session.generate({ ...generateOptions(values), signal: answering });
        let said = "";
        try {
          for await (const { text } of answer) {
            said += text;
            terminal.write(text);
          }
        } catch (error) {
          // An interrupted answer stays as it is, and the conversation goes on.
          if (!answering.aborted) throw error;
        }
        history.push({ role: "assistant", content: said });
        terminal.write("\n");
      }
      prompt();
    }
  },
});

/** Brings the session to the rendered conversation, feeding only what differs from what it already holds. */
async function feed(model: Model, session: Session, template: string, history: readonly Message[]): Promise<void> {
  const { bosId, eosId } = model.tokenizer;
  const spelling = (id: number | undefined) => id === undefined ? "" : model.tokenizer.piece(id) ?? "";
  const specialTokens = { bos_token: spelling(bosId), eos_token: spelling(eosId) };
  const rendered = await renderChat({ template, messages: history, specialTokens });
  // Templates write special tokens themselves.
  const tokens = model.tokenizer.encode(rendered, { addSpecialTokens: false });
  const held = session.tokens;
  let same = 0;
  while (same < held.length && same < tokens.length && held[same] === tokens[same]) same++;
  session.truncate(same);
  session.append(tokens.slice(same));
}

/** Lines of a stream without their ends, until it ends or the signal in force while waiting aborts. */
async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  signalWhileWaiting: () => AbortSignal,
): AsyncGenerator<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const stopped = Promise.withResolvers<{ done: true; value: undefined }>();
    signalWhileWaiting().addEventListener("abort", () => stopped.resolve({ done: true, value: undefined }));
    const { done, value } = await Promise.race([reader.read(), stopped.promise]);
    if (done) break;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
