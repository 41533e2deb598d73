/**
 * Counters in Prometheus' text format. Labels are routes, statuses and model ids; nothing that a client sends.
 *
 * @module
 */

/** Upper ends of the buckets of times, in seconds. */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly values: Map<string, number>;
}

/** See the module's description. */
export class Metrics {
  readonly #families = new Map<string, Family>();

  /** Adds to a counter. */
  add(name: string, help: string, labels: Labels, amount: number = 1): void {
    this.#bump(this.#family(name, help, "counter"), name + labelText(labels), amount);
  }

  /** Sets a gauge. */
  set(name: string, help: string, labels: Labels, value: number): void {
    this.#family(name, help, "gauge").values.set(name + labelText(labels), value);
  }

  /** Takes a time into a histogram. */
  observe(name: string, help: string, labels: Labels, seconds: number): void {
    const family = this.#family(name, help, "histogram");
    for (const end of BUCKETS) {
      this.#bump(family, `${name}_bucket${labelText({ ...labels, le: String(end) })}`, seconds <= end ? 1 : 0);
    }
    this.#bump(family, `${name}_bucket${labelText({ ...labels, le: "+Inf" })}`, 1);
    this.#bump(family, `${name}_sum${labelText(labels)}`, seconds);
    this.#bump(family, `${name}_count${labelText(labels)}`, 1);
  }

  /** All of them, as Prometheus reads them. */
  text(): string {
    return [...this.#families].map(([name, { help, type, values }]) =>
      [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...[...values].map(([key, value]) => `${key} ${value}`), ""]
        .join("\n")
    ).join("");
  }

  #family(name: string, help: string, type: Family["type"]): Family {
    const family = this.#families.get(name) ?? { help, type, values: new Map() };
    this.#families.set(name, family);
    return family;
  }

  #bump({ values }: Family, key: string, amount: number): void {
    values.set(key, (values.get(key) ?? 0) + amount);
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
