// The suggestions of a portrait as a list that can be ticked. It shows what the kernel says and sends back what was ticked; what is
// accepted, and whether it may be, is decided there.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function choice(suggestion, ticked, changed) {
  const box = element("input", { type: "checkbox", value: suggestion.id });
  box.checked = ticked.includes(suggestion.id);
  box.addEventListener("change", changed);
  const words = element("span", {}, element("b", {}, suggestion.id), ` ${suggestion.sentence}`);
  return element("li", {}, element("label", {}, box, words));
}

function render({ model, el }) {
  const list = element("ul", { class: "mlprod-choices" });
  const legend = element("legend");
  const accept = element("button", { type: "submit" }, "Accept");
  const copy = element("button", { type: "button" }, "Copy TOML");
  const status = element("p", { role: "status", class: "mlprod-status" });
  const toml = element("pre", { tabindex: "0", "aria-label": "TOML of the ticked suggestions" });
  const fields = element("fieldset", {}, legend, list, element("div", { class: "mlprod-buttons" }, accept, copy), toml);
  const form = element("form", { "aria-label": "suggestions for the contract" }, fields);

  const ticked = () => [...list.querySelectorAll("input:checked")].map((box) => box.value);
  const tick = () => {
    model.set("ticked", ticked());
    model.save_changes();
    enable();
  };
  const enable = () => {
    const none = ticked().length === 0;
    accept.disabled = none || model.get("busy");
    copy.disabled = none;
  };
  const showChoices = () => {
    const suggestions = model.get("suggestions");
    legend.textContent = `suggestions for ${model.get("target")}`;
    list.replaceChildren(...suggestions.map((one) => choice(one, model.get("ticked"), tick)));
    form.hidden = suggestions.length === 0;
    enable();
  };
  const showToml = () => {
    toml.textContent = model.get("toml");
    toml.hidden = !model.get("toml");
  };
  const showMessage = () => {
    status.textContent = model.get("message");
    status.classList.toggle("mlprod-failed", model.get("failed"));
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    status.textContent = "…";
    model.send({ accept: ticked() });
  });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(model.get("toml"));
      status.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(toml);
      status.textContent = "selected: press Ctrl+C, or Cmd+C";
    }
  });

  const shown = {
    "change:suggestions": showChoices,
    "change:toml": showToml,
    "change:message": showMessage,
    "change:failed": showMessage,
    "change:busy": enable,
  };
  for (const [name, show] of Object.entries(shown)) {
    model.on(name, show);
    show();
  }
  el.classList.add("mlprod-panel");
  el.append(form, status);
  return () => {
    for (const [name, show] of Object.entries(shown)) {
      model.off(name, show);
    }
  };
}

export default { render };
