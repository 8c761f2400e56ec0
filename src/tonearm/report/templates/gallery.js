"use strict";
(() => {
  const players = [...document.querySelectorAll("audio")];
  const plotOf = (player) => player.closest(".card").querySelector(".plot");

  players.forEach((player) => {
    const plot = plotOf(player);
    player.addEventListener("play", () => {
      players.forEach((other) => other !== player && other.pause());
      document.querySelectorAll(".selected").forEach((card) => card.classList.remove("selected"));
      player.closest(".card").classList.add("selected");
      requestAnimationFrame(follow);
    });
    player.addEventListener("seeked", draw);
    function draw() {
      plot.style.setProperty("--position", player.currentTime / plot.dataset.seconds);
    }
    function follow() {
      draw();
      if (!player.paused) requestAnimationFrame(follow);
    }
    plot.addEventListener("click", (event) => {
      const box = plot.getBoundingClientRect();
      const position = ((event.clientX - box.left) / box.width) * plot.dataset.seconds;
      player.currentTime = position; // before the file is loaded, this sets the start of playback
      player.play().catch(() => {}); // rejected where a pause comes before playback
    });
  });
  document.documentElement.classList.add("scripted");
})();
