// Where tokens are asked for: the page hands one in and gets a cookie.

import * as api from "./api.js";
import { h } from "./dom.js";

export function login(root, done) {
  const token = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
  const hint = h("p", { class: "hint bad", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await api.beginSession(token.value.trim());
      done();
    } catch (error) {
      hint.textContent = error.message;
      token.focus();
    }
  };
  root.replaceChildren(h("form", { class: "card login", onsubmit: submit },
    h("h1", {}, "A token, please"),
    h("label", { for: "token" }, "Token of this supervisor"), token,
    h("button", { type: "submit", class: "primary" }, "Come in"), hint));
  token.focus();
}
