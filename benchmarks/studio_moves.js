// Moves knobs of the studio's page at random times, as a person does by an input event of the native
// slider, and notes when and from which sample each move sounds. Evaluated in the page by
// benchmarks/studio.py, which reads `window.moves` and ends it by `window.moves.end = true`.
({ seed, least, most, patience }) => {
  const { connection, output, rows, manifest } = window.tonearm;
  const rate = manifest.model.sample_rate;
  const moves = (window.moves = { done: [], lost: 0, end: false });
  const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  let counter = seed;
  const random = () => { // mulberry32
    counter = (counter + 0x6d2b79f5) | 0;
    let mixed = Math.imul(counter ^ (counter >>> 15), 1 | counter);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  const sent = new Map(); // seq -> time at which the message was sent
  const send = connection.send.bind(connection);
  connection.send = (message) => {
    if (message.type === "control") sent.set(message.seq, performance.now());
    return send(message);
  };

  /** The answer to the next own control of a target, with its times; null where none comes. */
  const answered = (target) => new Promise((done) => {
    const receive = ({ detail }) => {
      if (detail.seq == null || detail.target !== target) return;
      connection.removeEventListener("applied", receive);
      done({ ...detail, arrived: performance.now(), sent: sent.get(detail.seq) });
    };
    connection.addEventListener("applied", receive);
    wait(patience).then(() => {
      connection.removeEventListener("applied", receive);
      done(null);
    });
  });

  async function move() {
    const usable = [...rows.values()].filter((row) => !row.input.disabled && (row.knob.positive.passes || row.knob.negative.passes));
    const { input, knob } = usable[Math.floor(random() * usable.length)];
    const [low, high] = [knob.negative.passes ? -1 : 0, knob.positive.passes ? 1 : 0];
    const answer = answered(knob.target);
    const { underruns, playing } = output.status;
    input.value = low + (high - low) * random();
    const { position } = output;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    const applied = await answer;
    if (applied === null) moves.lost += 1;
    else if (playing && applied.sample != null) {
      moves.done.push({
        knob: knob.name,
        to_sample: (applied.sample - position) / rate,
        round_trip: (applied.arrived - applied.sent) / 1000,
        whole: output.status.underruns === underruns,
      });
    }
  }

  (async () => {
    while (!moves.end) {
      await wait(1000 * (least + (most - least) * random()));
      if (!moves.end) await move();
    }
  })();
}
