/**
 * Talking with a model that has a chat template.
 *
 * @module
 */
import type { ChatMessage } from "../mod.ts";
import { button, element, follow } from "./elements.ts";
import type { Writer } from "./writer.ts";

/** Lets the conversation be led with the writer of the moment. */
export function setUpTalk(writer: () => Writer | undefined): { readonly forget: () => void } {
  const list = element("messages", HTMLElement);
  const composer = element("composer", HTMLFormElement);
  const field = element("message", HTMLTextAreaElement);
  const editLast = button("edit-last");
  const messages: ChatMessage[] = [];

  const show = (speaker: "user" | "assistant", text: string): HTMLElement => {
    const item = document.createElement("li");
    item.className = speaker;
    item.dataset["speaker"] = speaker === "user" ? "You" : "Model";
    item.textContent = text;
    list.append(item);
    return item;
  };
  const update = () => {
    editLast.disabled = messages.length === 0;
    button("forget").disabled = messages.length === 0;
  };
  const forget = () => {
    messages.length = 0;
    list.replaceChildren();
    update();
  };
  const answer = async (current: Writer, signal: AbortSignal) => {
    const content = field.value.trim();
    if (content === "") return;
    field.value = "";
    messages.push({ role: "user", content });
    const question = show("user", content);
    const item = show("assistant", "");
    item.setAttribute("aria-busy", "true");
    try {
      // A template leaves the space before the first word to the model.
      const onText = (text: string) =>
        follow(composer, () => item.append(item.textContent === "" ? text.trimStart() : text));
      await current.answer([...messages], onText, signal);
    } catch (error) {
      // Without a word of an answer the question was not asked, and can be sent again; it may have been typed on since.
      if (item.textContent === "") {
        messages.pop();
        for (const turn of [question, item]) turn.remove();
        field.value = [content, field.value].filter((text) => text !== "").join("\n");
      }
      throw error;
    } finally {
      // What has come of an answer that was stopped stays, and the conversation goes on from it.
      if (item.isConnected) messages.push({ role: "assistant", content: item.textContent });
      item.removeAttribute("aria-busy");
      update();
    }
  };
  const send = async () => {
    const current = writer();
    await current?.run(button("send"), (signal) => answer(current, signal));
    field.focus();
  };

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!writer()?.isRunning) send();
  });
  editLast.addEventListener("click", async () => {
    const { length } = messages;
    await writer()?.stop();
    // The question that was stopped without an answer is back in the field already.
    if (messages.length < length) return;
    const [asked] = messages.splice(-2);
    for (let i = 0; i < 2; i++) list.lastElementChild?.remove();
    field.value = asked?.content ?? "";
    update();
    field.focus();
  });
  button("forget").addEventListener("click", async () => {
    await writer()?.stop();
    forget();
    field.focus();
  });
  update();
  return { forget };
}
