// Numbers and elements, as the whole page shows them. Text is only ever set as text.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A whole number with its thousands; a dash for what is not known. */
export const count = (value) => (isNumber(value) ? whole.format(value) : "–");
/** A number in three digits and K, M, B. */
export const short = (value) => (isNumber(value) ? compact.format(value) : "–");
/** A rate: tenths below a hundred. */
export const rate = (value) => (isNumber(value) ? (value < 100 ? tenth : whole).format(value) : "–");

/** Milliseconds, or seconds where there are many. */
export function time(ms) {
  if (!isNumber(ms)) return "–";
  return ms < 10_000 ? `${whole.format(ms)} ms` : `${whole.format(ms / 1000)} s`;
}

/** Bytes in the unit that suits them. */
export function size(bytes) {
  if (!isNumber(bytes)) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (bytes >= 1000 && at < units.length - 1) [bytes, at] = [bytes / 1000, at + 1];
  return `${(at && bytes < 100 ? tenth : whole).format(bytes)} ${units[at]}`;
}

export const byId = (id) => document.getElementById(id);

/** Set an element's text if it is another; an unchanged text is no work for anybody. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Make an element of a class, with children or a text. */
export function make(tag, name = "", ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

/** Give a list exactly these children, made once per key and then only updated. */
export function keyed(list, items, keyOf, create, update) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const key = String(keyOf(item));
    const child = known.get(key) ?? Object.assign(create(item), {});
    child.dataset.key = key;
    update?.(child, item);
    return child;
  });
  if (wanted.length !== list.children.length || wanted.some((child, at) => list.children[at] !== child)) {
    list.replaceChildren(...wanted);
  }
}

/** A hue that is always the same for the same text. */
export function hue(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 3600;
  return sum % 360;
}

/** The first letters of a name's first and last word. */
export function initials(name) {
  const words = name.split(/[\s-]+/).filter(Boolean);
  return ((words[0]?.[0] ?? "?") + (words.length > 1 ? words.at(-1)[0] : "")).toUpperCase();
}
