// Who is here: a row of names in the chat page, and all of them on demand.

import { $, element, hue } from "./page.js";

const MOST = 300; // names on the page

let count = 0;

/**
 * Shows the members, or nothing if the channel has no presence. The reader is always shown as one, although the server
 * counts only readers with a name.
 */
export const showHere = (members, { nick, user }) => {
  $("here").hidden = !members;
  if (!members) return;
  const isMine = ({ name, verified }) => (user === null ? !verified && name === nick : verified && name === user);
  const names = members.filter((one) => !isMine(one)).map(({ name }) => name || "anonymous").sort((a, b) => a.localeCompare(b));
  count = names.length + 1;
  $("here-count").textContent = `${count} here`;
  const me = user ?? nick;
  $("here-names").replaceChildren(
    element("li", "you", me ? `${me} (you)` : "you"),
    ...names.slice(0, MOST).map((name) => {
      const item = element("li", "", name);
      item.style.setProperty("--hue", hue(name));
      item.title = name;
      return item;
    }),
  );
  showMore();
};

/** How many have no room in the row; or all of them. */
const showMore = () => {
  const [list, button] = [$("here-names"), $("here-more")];
  const isOpen = button.getAttribute("aria-expanded") === "true";
  $("here").classList.toggle("all", isOpen);
  const shown = () => [...list.children].filter((item) => item.offsetTop < list.offsetTop + list.offsetHeight).length;
  button.removeAttribute("aria-label");
  button.hidden = true;
  button.hidden = !isOpen && shown() >= count; // the button itself takes room, too
  button.textContent = isOpen ? "Fewer" : `+${count}`;
  if (isOpen || button.hidden) return;
  button.textContent = `+${count - shown()}`;
  button.setAttribute("aria-label", `${count - shown()} more`);
};

/** Follows the width of the window, and the button. */
export const watchRoom = () => {
  new ResizeObserver(showMore).observe($("here"));
  $("here-more").addEventListener("click", () => {
    const isOpen = $("here-more").getAttribute("aria-expanded") === "true";
    $("here-more").setAttribute("aria-expanded", !isOpen);
    showMore();
  });
};
