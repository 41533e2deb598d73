/**
 * `skein chat`: a conversation in the terminal.
 *
 * @module
 */
import type { GenerateOptions, Generation, Model, Session } from "../../mod.ts";
import { Conversation } from "../chat/conversation.ts";
import { runChatCommand } from "./chat_commands.ts";
import { counted } from "./counted.ts";
import { type Command, defineCommand, expectPositionals } from "./command.ts";
import { slideNote } from "./context_policy.ts";
import { generateOptions, samplingOptions } from "./generate.ts";
import { cutNote, grammarOf, grammarOptions } from "./grammar.ts";
import { linesOf } from "./lines.ts";
import { given, modelOptions, openModel } from "./loading.ts";
import { flag, text, UsageError } from "./options.ts";

const { json: _noJson, ...plainModelOptions } = modelOptions;
const options = {
  "system": text("TEXT", "What the assistant is told before the conversation"),
  "drop-old-turns": flag("Leave the oldest turns out when the conversation outgrows the context"),
  ...samplingOptions,
  ...grammarOptions,
  ...plainModelOptions,
};

/** The command. */
export const chat: Command = defineCommand({
  summary: "Talk with a model; /help tells more, Ctrl-C stops an answer, Ctrl-D ends",
  usage: "MODEL",
  options,
  run: async ({ positionals, values, terminal, signal, renewSignal }) => {
    const [source] = expectPositionals(positionals, ["MODEL"]) as [string];
    const grammar = await grammarOf(values);
    using model = await openModel(source, { ...values, json: false }, { terminal, signal });
    using session = model.createSession();
    if (model.chatTemplate === undefined) {
      terminal.note("This model has no chat template: it continues your text instead of answering");
    }
    const conversation = new Conversation(values.system);
    const isTalking = Deno.stdin.isTerminal();
    const prompt = () => isTalking && terminal.aside("> ");
    const answer = async () => {
      const stopping = renewSignal();
      const said = { text: "" };
      try {
        const words = reply(model, session, conversation, {
          ...generateOptions(values),
          ...given("grammar", grammar),
          dropOldTurns: values["drop-old-turns"],
          signal: stopping,
        });
        for await (const { text } of words) {
          said.text += text;
          terminal.write(text);
        }
        const { contextSlides, finishReason } = await words.result;
        const note = slideNote(contextSlides, model.contextLength);
        if (note !== undefined) terminal.note(note);
        const cut = cutNote(grammar, finishReason);
        if (cut !== undefined) terminal.note(cut);
      } catch (error) {
        // An interrupted answer stays as it is, and the conversation goes on.
        if (!stopping.aborted) {
          conversation.takeBack();
          throw error;
        }
      }
      conversation.answer(said.text);
      terminal.write("\n");
    };
    /** Whether the program goes on. */
    const take = async (line: string): Promise<boolean> => {
      if (line.trim() === "") return true;
      if (!line.startsWith("/") || line.startsWith("//")) {
        conversation.ask(line.startsWith("//") ? line.slice(1) : line);
        await answer();
        return true;
      }
      const next = await runChatCommand(line, conversation);
      if (next.kind === "note") terminal.note(next.text);
      if (next.kind === "answer") await answer();
      return next.kind !== "end";
    };
    let nRefused = 0;
    prompt();
    for await (const line of linesOf(Deno.stdin.readable, () => renewSignal())) {
      try {
        if (!await take(line)) break;
      } catch (error) {
        // A command that cannot be done changes nothing. For an answer that cannot be given somebody who types can do
        // something; a script had better not go on.
        if (!(error instanceof UsageError || isTalking && error instanceof RangeError)) throw error;
        terminal.note(error.message);
        nRefused++;
      }
      prompt();
    }
    if (nRefused > 0 && !isTalking) {
      throw new UsageError(`Cannot do ${counted(nRefused, "command")} of the input: see above`);
    }
  },
});

/** The model's next words: an answer, or for a base model what comes after all that was said. */
function reply(
  model: Model,
  session: Session,
  conversation: Conversation,
  options: GenerateOptions & { readonly dropOldTurns: boolean },
): Generation {
  if (model.chatTemplate !== undefined) return model.chat(conversation.messages, { ...options, session });
  const text = conversation.messages
    .map(({ role, content }, index) => index === 0 || role === "assistant" ? content : `\n${content}`)
    .join("");
  session.replace(model.tokenizer.encode(text));
  return session.generate(options);
}
