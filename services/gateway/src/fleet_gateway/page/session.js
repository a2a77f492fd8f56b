// Who is looking: open, a session, or the form that asks for a token. The token is exchanged
// for a cookie that scripts cannot read, and is kept nowhere.

const RENEW_MS = 10 * 60 * 1000;
const RETRY_MS = 2000;

export class Session {
  // `handlers`: entered(), left().
  constructor(handlers) {
    this.handlers = handlers;
    this.address = new URL("api/v1/session", document.baseURI);
    this.dialog = document.getElementById("login");
    this.token = document.getElementById("token");
    this.error = document.getElementById("login-error");
    this.visitor = document.getElementById("visitor");
    document.getElementById("login-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.logIn();
    });
    document.getElementById("log-out").addEventListener("click", () => this.logOut());
    this.dialog.addEventListener("cancel", (event) => event.preventDefault());
    // The stream itself renews nothing while it lasts; this keeps the cookie young.
    setInterval(() => this.visitor.hidden || fetch(this.address).catch(() => null), RENEW_MS);
  }

  async start() {
    let answer;
    try {
      answer = await fetch(this.address);
    } catch {
      setTimeout(() => this.start(), RETRY_MS);
      return;
    }
    if (answer.ok) this.enter(await answer.json());
    else if (answer.status === 401) this.ask("");
    else setTimeout(() => this.start(), RETRY_MS);
  }

  enter(who) {
    this.dialog.close();
    this.visitor.hidden = who.open;
    document.getElementById("visitor-name").textContent = who.name;
    this.handlers.entered();
  }

  ask(message) {
    this.error.textContent = message;
    if (!this.dialog.open) this.dialog.showModal();
    this.token.focus();
  }

  async logIn() {
    this.error.textContent = "";
    let answer;
    try {
      answer = await fetch(this.address, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ token: this.token.value.trim() }),
      });
    } catch {
      this.ask("The gateway does not answer. Try again in a moment.");
      return;
    }
    const body = await answer.json();
    if (!answer.ok) {
      this.ask(`${body.error.message[0].toUpperCase()}${body.error.message.slice(1)}.`);
      this.token.select();
      return;
    }
    this.token.value = "";
    this.enter(body);
  }

  async logOut() {
    this.visitor.hidden = true;
    this.handlers.left();
    try {
      await fetch(this.address, { method: "DELETE" });
    } catch {
      // The cookie ends by itself soon.
    }
    this.ask("");
  }
}
