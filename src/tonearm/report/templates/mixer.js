"use strict";
/* All clips play from one common start with different gains, so that a switch keeps the position to the sample. The
   buffers have one length. play(position), pause(), position(), select(index), loop([start, end] or null), in seconds;
   onend is called at the end. A switch fades across, or, if it dips, out and then in, which sounds alike whether or not
   the two clips are equal. */
function mixerEngine(context, buffers, dips = false) {
  const FADE_SECONDS = 0.01;
  const seconds = buffers[0].duration;
  const engine = { name: "webaudio", onend: null };
  let index = 0;
  let region = null;
  let deck = null; // while playing: { bus, gains, sources, start }; start is the time of the context at position 0

  const ramp = (param, from, to, at) => {
    param.cancelScheduledValues(at);
    param.setValueAtTime(from, at);
    param.linearRampToValueAtTime(to, at + FADE_SECONDS); // linear, since takes of one seed are correlated
  };
  const isOutside = (position) => region !== null && (position < region[0] || position >= region[1]);
  engine.position = () => {
    const elapsed = Math.max(0, context.currentTime - deck.start);
    if (region === null) return Math.min(elapsed, seconds);
    const [start, end] = region;
    return elapsed < end ? elapsed : start + ((elapsed - start) % (end - start));
  };
  engine.pause = () => {
    if (!deck) return;
    const { bus, sources } = deck;
    sources[0].onended = null;
    ramp(bus.gain, 1, 0, context.currentTime);
    sources.forEach((source) => source.stop(context.currentTime + FADE_SECONDS));
    deck = null;
  };
  engine.play = (wanted) => {
    engine.pause();
    context.resume();
    const position = isOutside(wanted) ? region[0] : wanted;
    const bus = context.createGain();
    bus.connect(context.destination);
    ramp(bus.gain, 0, 1, context.currentTime);
    const gains = buffers.map((_, i) => new GainNode(context, { gain: i === index ? 1 : 0 }));
    const sources = buffers.map((buffer, i) => {
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(gains[i]).connect(bus);
      return source;
    });
    sources[0].onended = () => engine.onend();
    deck = { bus, gains, sources, start: 0 };
    applyRegion();
    const now = context.currentTime; // read once, so that all start on one sample
    sources.forEach((source) => source.start(now, position));
    deck.start = now - position;
  };
  engine.select = (next) => {
    const open = (i, chosen) => (i === chosen ? 1 : 0); // not gain.value: Firefox keeps it stale through a ramp
    const now = context.currentTime;
    const later = dips ? now + FADE_SECONDS : now; // where the next clip begins to open
    deck?.gains.forEach(({ gain }, i) => {
      gain.cancelScheduledValues(now);
      ramp(gain, open(i, index), open(i, next), i === next ? later : now);
    });
    index = next;
  };
  function applyRegion() {
    deck.sources.forEach((source) => {
      source.loop = region !== null;
      if (region !== null) [source.loopStart, source.loopEnd] = region;
    });
  }
  engine.loop = (next) => {
    const position = deck ? engine.position() : 0; // without the loops already played
    region = next;
    if (!deck) return;
    if (isOutside(position)) return engine.play(position);
    deck.start = context.currentTime - position;
    applyRegion();
  };
  return engine;
}

/* Silence after the shorter clips, so that all loop with one period. */
function padded(context, buffers) {
  const length = Math.max(...buffers.map((buffer) => buffer.length));
  return buffers.map((buffer) => {
    if (buffer.length === length) return buffer;
    const longer = context.createBuffer(buffer.numberOfChannels, length, buffer.sampleRate);
    for (let c = 0; c < buffer.numberOfChannels; c++) longer.copyToChannel(buffer.getChannelData(c), c);
    return longer;
  });
}

/* Minutes, seconds and tenths. */
function clock(position) {
  const tenths = Math.floor(position * 10 + 1e-6);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}
