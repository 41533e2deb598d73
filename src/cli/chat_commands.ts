/**
 * What can be typed in `skein chat` in place of a message.
 *
 * @module
 */
import type { Conversation } from "../chat/conversation.ts";
import { readTextFile } from "./command.ts";
import { counted } from "./counted.ts";
import { nearestOf, UsageError } from "./options.ts";
import { WholeFile } from "./whole_file.ts";

/** What follows a command. */
export type Next =
  /** The assistant answers what the conversation now ends with. */
  | { readonly kind: "answer" }
  /** The user is told something. */
  | { readonly kind: "note"; readonly text: string }
  /** The program ends. */
  | { readonly kind: "end" };

interface ChatCommand {
  /** What stands after the name, for `/help`. */
  readonly usage: string;
  /** One line for `/help`. */
  readonly help: string;
  /** Does it. */
  run(conversation: Conversation, argument: string): Next | Promise<Next>;
}

const note = (text: string): Next => ({ kind: "note", text });

function needArgument(name: string, what: string, argument: string): string {
  if (argument === "") throw new UsageError(`Expected ${what} after /${name}`);
  return argument;
}

const COMMANDS: Readonly<Record<string, ChatCommand>> = {
  help: {
    usage: "",
    help: "Show these commands",
    run: () => note(helpText()),
  },
  system: {
    usage: "TEXT",
    help: "Tell the assistant this before the conversation; without TEXT, nothing",
    run: (conversation, argument) => {
      conversation.system = argument === "" ? undefined : argument;
      return note(argument === "" ? "No system message" : "The system message is replaced");
    },
  },
  edit: {
    usage: "TEXT",
    help: "Replace what you said last and get another answer",
    run: (conversation, argument) => {
      const text = needArgument("edit", "what you want to have said", argument);
      if (conversation.takeBack() === undefined) throw new UsageError("Cannot edit: nothing has been said");
      conversation.ask(text);
      return { kind: "answer" };
    },
  },
  retry: {
    usage: "",
    help: "Get another answer to what you said last",
    run: (conversation) => {
      const said = conversation.takeBack();
      if (said === undefined) throw new UsageError("Cannot try again: nothing has been said");
      conversation.ask(said);
      return { kind: "answer" };
    },
  },
  undo: {
    usage: "",
    help: "Take back what you said last and its answer",
    run: (conversation) => {
      if (conversation.takeBack() === undefined) throw new UsageError("Cannot undo: nothing has been said");
      return note("The last turn is taken back");
    },
  },
  clear: {
    usage: "",
    help: "Begin anew, with the same system message",
    run: (conversation) => {
      conversation.clear();
      return note("A new conversation");
    },
  },
  save: {
    usage: "FILE",
    help: "Write the conversation to a file, as JSON",
    run: async (conversation, argument) => {
      const file = await WholeFile.at("/save", needArgument("save", "a file", argument));
      await file.write(conversation.toJson());
      return note(`Saved ${counted(conversation.messages.length, "message")}`);
    },
  },
  load: {
    usage: "FILE",
    help: "Go on with a conversation from a file",
    run: async (conversation, argument) => {
      const path = needArgument("load", "a file", argument);
      const text = await readTextFile("/load", path);
      try {
        conversation.read(text);
      } catch (cause) {
        throw new UsageError(`Cannot read /load ${JSON.stringify(path)}: ${(cause as Error).message}`, { cause });
      }
      return note(`Loaded ${counted(conversation.messages.length, "message")}`);
    },
  },
  exit: {
    usage: "",
    help: "End, as Ctrl-D does",
    run: () => ({ kind: "end" }),
  },
};

function helpText(): string {
  const rows = Object.entries(COMMANDS).map(([name, { usage, help }]) => [`/${name} ${usage}`, help] as const);
  return [...rows, ["//TEXT", "Say /TEXT"] as const].map(([left, help]) => `${left.padEnd(14)}${help}`).join("\n");
}

/**
 * Runs a line that begins with a slash.
 *
 * @throws {UsageError} If there is no such command, or it cannot do what it is asked; nothing changes then.
 */
export async function runChatCommand(line: string, conversation: Conversation): Promise<Next> {
  const [, name = "", argument = ""] = /^\/(\S*)\s*(.*)$/s.exec(line)!;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : undefined;
  if (command === undefined) {
    const nearest = nearestOf(name, Object.keys(COMMANDS));
    const hint = nearest === undefined ? "try /help" : `did you mean /${nearest}`;
    throw new UsageError(`Unknown command /${name}: ${hint}, or //${name} to say it`);
  }
  return await command.run(conversation, argument.trim());
}
