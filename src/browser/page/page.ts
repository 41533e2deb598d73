/**
 * The page: choose a model, then talk with it, let it continue a text, or measure it.
 *
 * @module
 */
import { setUpChooser } from "./chooser.ts";
import { button, element } from "./elements.ts";
import { setUpManuscript } from "./manuscript.ts";
import { setUpMeasurement } from "./measurement.ts";
import { setUpTabs } from "./tabs.ts";
import { setUpTalk } from "./talk.ts";
import { Writer } from "./writer.ts";

let writer: Writer | undefined;
const showTab = setUpTabs(["chat", "write", "measure"]);
const talk = setUpTalk(() => writer);
const manuscript = setUpManuscript(() => writer);
const measurement = setUpMeasurement(() => writer);

setUpChooser({
  async onLeave() {
    element("work", HTMLElement).hidden = true;
    await writer?.dispose();
    writer = undefined;
  },
  onModel(model) {
    writer = new Writer(model);
    element("work", HTMLElement).hidden = false;
    const canChat = model.tokenizer.chatTemplate !== undefined;
    showTab(canChat ? "chat" : "write", ["chat", "write", "measure"].slice(canChat ? 0 : 1));
    talk.forget();
    manuscript.count();
    measurement.describe(model);
    if (canChat) element("message", HTMLTextAreaElement).focus();
    else button("continue").focus();
  },
});

document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") writer?.stop();
});
