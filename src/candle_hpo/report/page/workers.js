// How the workers were used: how many were busy, what each ran, how long trials took.

const time = timeUnit(page.running_time);
const ran = page.runs.trial.length;
const timeAxis = () => ({
  scale: linearScale(0, Math.max(page.running_time, 1e-3) / time.divisor),
  label: `running time (${time.name})`,
});

// [time, how many run from then on], from the beginnings and ends of all attempts.
function busyWorkers() {
  const changes = [];
  for (let k = 0; k < ran; k += 1) {
    changes.push([page.runs.began[k], 1], [page.runs.began[k] + page.runs.seconds[k], -1]);
  }
  changes.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let busy = 0;
  return changes.map(([at, change]) => [at, (busy += change)]);
}

drawn("busy", (holder) => {
  if (!ran) return;
  const steps = busyWorkers();
  const most = Math.max(...page.places.map(([, workers]) => workers), 1);
  const made = chart(holder, {
    title: "Busy workers over the running time",
    x: timeAxis(), y: { scale: linearScale(0, most * 1.05), label: "busy workers" }, height: 210,
  });
  const { context, px, py } = made;
  context.fillStyle = colour("mark");
  context.globalAlpha = 0.55;
  context.beginPath();
  context.moveTo(px(0), py(0));
  let before = 0;
  for (const [at, busy] of steps) {
    context.lineTo(px(at / time.divisor), py(before));
    context.lineTo(px(at / time.divisor), py(busy));
    before = busy;
  }
  context.lineTo(px(page.running_time / time.divisor), py(0));
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = colour("text");
  context.setLineDash([5, 4]);
  page.places.forEach(([began, workers], k) => {
    const end = k + 1 < page.places.length ? page.places[k + 1][0] : page.running_time;
    context.beginPath();
    context.moveTo(px(began / time.divisor), py(workers));
    context.lineTo(px(end / time.divisor), py(workers));
    context.stroke();
  });
  context.setLineDash([]);
});

drawn("gantt", (holder) => {
  if (!ran) return;
  const rows = page.workers.length;
  const high = Math.min(20, Math.max(1, Math.floor(560 / rows)));
  const every = Math.ceil(15 / high);
  const gap = high > 6 ? 2 : high > 2 ? 0.5 : 0;
  const made = chart(holder, {
    title: "What each worker ran over the running time",
    x: timeAxis(),
    y: {
      scale: {
        at: (row) => 1 - (row + 0.5) / rows,
        ticks: () => page.workers.map((name, row) => [row, name]).filter((_, row) => row % every === 0),
      },
      label: "worker",
    },
    height: rows * high + 60, left: 130,
  });
  const { context, px, inner } = made;
  const tones = page.statuses.map((status) => colour(status));
  for (let k = 0; k < ran; k += 1) {
    const from = px(page.runs.began[k] / time.divisor);
    const to = px((page.runs.began[k] + page.runs.seconds[k]) / time.divisor);
    context.fillStyle = tones[page.runs.status[k]];
    context.fillRect(from, inner.top + page.runs.worker[k] * high, Math.max(0.7, to - from - 0.6), high - gap);
  }
  for (const began of page.campaigns.slice(1)) {
    context.fillStyle = colour("text");
    context.fillRect(px(began / time.divisor), inner.top, 1, inner.height);
  }
  made.svg.addEventListener("mousemove", (event) => {
    const k = attemptAt(event, made, high);
    if (k < 0) hideTip();
    else {
      showTip(event, [page.workers[page.runs.worker[k]], `attempt: ${page.statuses[page.runs.status[k]].replaceAll("_", " ")}`
        + ` after ${durationText(page.runs.seconds[k])}`, ...trialLines(page.runs.trial[k])]);
    }
  });
  made.svg.addEventListener("mouseleave", hideTip);
});

function attemptAt(event, { svg, inner }, high) {
  const box = svg.getBoundingClientRect();
  const row = Math.floor((event.clientY - box.top - inner.top) / high);
  const at = ((event.clientX - box.left - inner.left) / inner.width) * page.running_time;
  for (let k = 0; k < ran; k += 1) {
    if (page.runs.worker[k] === row && page.runs.began[k] <= at && at <= page.runs.began[k] + page.runs.seconds[k]) {
      return k;
    }
  }
  return -1;
}

drawn("durations", (holder) => {
  const seconds = page.seconds.filter((value, place) => value !== null && page.status[place] === COMPLETED);
  if (!seconds.length) return;
  let [low, high] = [Infinity, 0];
  for (const value of seconds) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const unit = timeUnit(high);
  const bins = Math.min(40, Math.max(5, Math.ceil(Math.sqrt(seconds.length))));
  const wide = (high - low) / bins || Math.max(high, 1e-3) / bins;
  const counts = new Array(bins).fill(0);
  for (const value of seconds) counts[Math.min(bins - 1, Math.floor((value - low) / wide))] += 1;
  const made = chart(holder, {
    title: "Durations of completed trials",
    x: { scale: linearScale(low / unit.divisor, (low + wide * bins) / unit.divisor), label: `duration of a trial (${unit.name})` },
    y: { scale: linearScale(0, Math.max(...counts) * 1.05), label: "completed trials" },
    height: 240,
  });
  const { context, px, py } = made;
  context.fillStyle = colour("mark");
  counts.forEach((count, k) => {
    const from = px((low + k * wide) / unit.divisor);
    const to = px((low + (k + 1) * wide) / unit.divisor);
    context.fillRect(from + 0.5, py(count), Math.max(1, to - from - 1), py(0) - py(count));
  });
});
