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

document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") writer?.stop();
});

await setUpChooser({
  async onLeave() {
    element("work", HTMLElement).hidden = true;
    await writer?.dispose();
    writer = undefined;
  },
  onSpeaker(speaker) {
    writer = new Writer(speaker);
    element("work", HTMLElement).hidden = false;
    element("no-template", HTMLElement).hidden = speaker.canChat;
    const tabs = [speaker.canChat ? ["chat"] : [], ["write"], speaker.model === undefined ? [] : ["measure"]].flat();
    showTab(tabs[0]!, tabs);
    talk.forget();
    manuscript.count();
    if (speaker.model !== undefined) measurement.describe(speaker.model);
    if (speaker.canChat) element("message", HTMLTextAreaElement).focus();
    else button("continue").focus();
  },
});
