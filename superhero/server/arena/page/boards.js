// The kill feed and the leaderboard.

import { byId, count, hue, keyed, make, say, short } from "./text.js";

const list = byId("fall-list");

const MOST_FALLS = 9;
const MOST_UNTOLD = 6;
let untold = [];

/** Take note that a hero fell. Of very many, some are not told: nobody could read them. */
export function fell(fall) {
  untold = [...untold, fall].slice(-MOST_UNTOLD);
}

/** Tell the next fall there is to tell, the newest on top. */
export function tellFall() {
  const fall = untold.shift();
  if (!fall) return;
  byId("no-falls").hidden = true;
  const harm = make("span", "harm", `−${short(fall.damage)}`);
  list.prepend(make("li", "fall", make("b", "", fall.by), make("span", "felled", " felled "), make("b", "loser", fall.hero), harm));
  while (list.children.length > MOST_FALLS) list.lastChild.remove();
}

/** Show the best players. */
export function showLeaders(leaders, games) {
  say(byId("leaders-of"), games ? `Of ${count(games)} games seen here` : "No game has ended yet");
  keyed(
    byId("leader-rows"),
    leaders,
    (leader) => leader.user,
    (leader) => {
      const name = make("td", "who", make("span", "sigil"), leader.user.slice(0, 8));
      name.firstChild.style.setProperty("--hue", hue(leader.user));
      return make("tr", "", make("td", "rank"), name, make("td", "n"), make("td", "n"), make("td", "n"));
    },
    (row, leader) => {
      const [rank, , rating, won, damage] = row.children;
      say(rank, String(leaders.indexOf(leader) + 1));
      say(rating, count(leader.rating));
      say(won, `${count(leader.won)} of ${count(leader.games)}`);
      say(damage, short(leader.damage));
    },
  );
}
