// WebSocket of the studio in a worker of its own, so that drawing never delays the music.
//
//   server ─► socket.js ─► worklet.js   audio, over a port of their own
//                     └──► connection.js   audio for the spectra, and all other messages
//   server ◄─ socket.js ◄─ worklet.js   play heads
//                     ◄─── connection.js   all other messages
//
// In: {type: "open", channels, port}, {type: "send", text}, {type: "drop"}
// Out: {type: "text", message}, {type: "audio", run, first, rows}, {type: "link", state, code, reason}
// Port, in: {run, position}; out: {type: "audio", run, first, rows}, {type: "reconnected"}
//
// Protocol version 1 (docs/studio.md). It reconnects, and resumes where the audio ended.

const MAGIC = 0x31414e54; // "TNA1", little endian
const FIRST_DELAY = 150; // ms before the first attempt to connect again
const LONGEST_DELAY = 600; // so that sound resumes within a second of the network
const FULL_DELAY = 4000; // where the server has as many clients as it takes
const TRY_LATER = 1013; // code of a close
const POLICY = 1008; // likewise
const ASKED_AFTER = 4; // attempts that failed, after which the server is asked for the reason

let socket = null;
let player = null; // port of the worklet; null for a page without sound
let channels = 1;
let session = "";
let run = 0;
let after = 0; // position up to which there is audio of this run
let delay = FIRST_DELAY;
let isGreeted = false; // by this connection
let attempts = 0; // since the last greeting

self.onmessage = ({ data }) => {
  if (data.type === "open") {
    ({ channels, port: player } = data);
    if (player) player.onmessage = ({ data: head }) => head.run && send(JSON.stringify({ type: "playhead", sample: head.position }));
    connect();
  } else if (data.type === "send") send(data.text);
  else if (data.type === "drop") socket.close();
};

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/socket?session=${session}&run=${run}&after=${after}`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => (typeof data === "string" ? text(JSON.parse(data)) : audio(data));
  isGreeted = false;
  socket.onclose = ({ code, reason }) => {
    postMessage({ type: "link", state: "reconnecting", code, reason });
    if (++attempts % ASKED_AFTER === 0) explain(); // a server that starts again may not answer yet
    setTimeout(connect, code === TRY_LATER && !isGreeted ? FULL_DELAY : delay);
    delay = Math.min(LONGEST_DELAY, 2 * delay);
  };
}

/** Show why the server refuses the page; the browser hides the answer to a refused WebSocket. */
async function explain() {
  const answer = await fetch("/manifest").catch(() => null); // the network is lost
  const reason = answer && !answer.ok ? (await answer.text().catch(() => "")).trim() : "";
  if (reason && !isGreeted) postMessage({ type: "link", state: "reconnecting", code: POLICY, reason });
}

function send(content) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(content);
}

function text(message) {
  if (message.type === "hello") {
    ({ session } = message);
    if (after) player?.postMessage({ type: "reconnected" });
    [isGreeted, delay, attempts] = [true, FIRST_DELAY, 0];
    postMessage({ type: "link", state: "connected" }); // and not while it may be refused
  }
  postMessage({ type: "text", message });
}

function audio(buffer) {
  const view = new DataView(buffer);
  if (view.getUint32(0, true) !== MAGIC) return;
  run = view.getUint32(4, true);
  const first = Number(view.getBigUint64(8, true));
  const samples = new Float32Array(buffer, 16);
  const count = samples.length / (2 * channels);
  after = first + count;
  for (const receiver of player ? [player, self] : [self]) {
    const rows = Array.from({ length: 2 * channels }, (_, row) => samples.slice(row * count, (row + 1) * count));
    receiver.postMessage({ type: "audio", run, first, rows }, rows.map((row) => row.buffer));
  }
}
