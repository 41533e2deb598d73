/**
 * Perplexity of a text by the length of context, with the model's YaRN and without.
 *
 * @module
 */
import { type Model, type NamedScaling, perplexity, type PerplexityRow, type RopeChoice } from "../mod.ts";
import { button, counted, countedTokens, element } from "./elements.ts";
import { plotSvg, type Series } from "./plot.ts";
import type { Writer } from "./writer.ts";

/** Targets at the end of the text: the same ones at each length, so that only the context differs. */
const TARGETS = 256;

/** By how much YaRN stretches a model that ships without it. */
const OTHER_FACTOR = 4;

/** Lets a text be measured by the model of the moment. */
export function setUpMeasurement(
  writer: () => Writer | undefined,
): { readonly describe: (model: Model) => void } {
  const text = element("measured-text", HTMLTextAreaElement);
  const status = element("measure-status", HTMLElement);
  const measure = async ({ speaker }: Writer, signal: AbortSignal) => {
    const { model } = speaker;
    if (model === undefined) return;
    const tokens = model.tokenizer.encode(text.value, { addSpecialTokens: false });
    const lengths = lengthsFor(model, tokens.length);
    const scalings = scalingsOf(model);
    const rows: PerplexityRow[] = [];
    speaker.forget();
    try {
      await perplexity(model, [{ name: "your text", tokens }], {
        lengths,
        scalings,
        windowEnds: [{ document: 0, end: tokens.length }],
        signal,
        onProgress: ({ scaling, contextLength, secondsLeft }) => {
          const left = secondsLeft === undefined ? "" : `, ${Math.ceil(secondsLeft)} s left`;
          status.textContent = `Reading ${counted(contextLength)} tokens ${scaling}${left}`;
        },
        onRow: (row) => {
          rows.push(row);
          show(rows, scalings.map(({ name }) => name), lengths);
        },
      });
    } finally {
      status.textContent = "";
    }
  };

  const count = () => {
    const model = writer()?.speaker.model;
    const nTokens = model?.tokenizer.encode(text.value, { addSpecialTokens: false }).length ?? 0;
    element("measured-count", HTMLElement).textContent = nTokens === 0 ? "" : countedTokens(nTokens);
  };

  button("measure").addEventListener("click", async () => {
    const current = writer();
    await current?.run(button("measure"), (signal) => measure(current, signal));
  });
  button("use-sample").addEventListener("click", async () => {
    const response = await fetch("sample.txt");
    if (!response.ok) return;
    text.value = await response.text();
    count();
  });
  text.addEventListener("change", count);

  return {
    describe: (model) => {
      element("measure-intro", HTMLElement).textContent = introduction(model);
      element("plot", HTMLElement).hidden = true;
      count();
    },
  };
}

/** Powers of two from the number of targets up to what text and context hold. */
function lengthsFor(model: Model, nTokens: number): number[] {
  const most = Math.min(nTokens, model.contextLength);
  const lengths: number[] = [];
  for (let length = TARGETS; length <= most; length *= 2) lengths.push(length);
  if (lengths.length === 0) {
    throw new RangeError(
      `The text has ${countedTokens(nTokens)}, and at least ${TARGETS} are needed: paste a longer one`,
    );
  }
  return lengths;
}

/** The model's YaRN and none, or, where it ships another scaling or none, that one and YaRN. */
function scalingsOf({ config }: Model): readonly [NamedScaling, NamedScaling] {
  if (config.ropeScaling.type === "yarn") {
    return [{ name: "with YaRN", scaling: undefined }, { name: "without", scaling: "none" }];
  }
  const yarn: RopeChoice = { rope_type: "yarn", factor: OTHER_FACTOR };
  return [{ name: `with YaRN ×${OTHER_FACTOR}`, scaling: yarn }, { name: "as it is", scaling: undefined }];
}

function introduction({ contextLength }: Model): string {
  return `How well does the model foresee the last ${TARGETS} tokens of a text, the more it has read of what comes ` +
    `before? Perplexity says among how many words it wavers: lower is better. Paste a text of up to ${
      counted(contextLength)
    } tokens.`;
}

function show(rows: readonly PerplexityRow[], names: readonly string[], lengths: readonly number[]): void {
  const series: Series[] = names.map((name) => ({
    name,
    points: rows.filter(({ scaling }) => scaling === name)
      .map(({ contextLength, tokenPerplexity }) => [contextLength, tokenPerplexity] as const),
  }));
  const drawn = series.filter(({ points }) => points.length > 0);
  const caption = `Perplexity of the last ${TARGETS} tokens by tokens of context`;
  element("plot", HTMLElement).hidden = false;
  const image = element("plot-image", HTMLElement);
  const draw = () => image.innerHTML = plotSvg(drawn, lengths, caption, Math.max(280, image.clientWidth));
  draw();
  globalThis.onresize = draw;
  element("plot-caption", HTMLElement).textContent = caption;
  element("plot-head", HTMLElement).replaceChildren(tableRow("th", ["Context", ...names]));
  element("plot-rows", HTMLElement).replaceChildren(
    ...lengths.map((length) =>
      tableRow("td", [
        counted(length),
        ...series.map(({ points }) => points.find(([at]) => at === length)?.[1].toFixed(2) ?? ""),
      ])
    ),
  );
}

function tableRow(kind: "th" | "td", cells: readonly string[]): HTMLTableRowElement {
  const row = document.createElement("tr");
  row.append(...cells.map((text) => {
    const cell = document.createElement(kind);
    cell.textContent = text;
    return cell;
  }));
  return row;
}
