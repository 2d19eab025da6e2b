// Shows a screen in noVNC in a headless browser, and presses keys there.
//
//	node novnc.mjs WEBSOCKET REFERENCE.png KEY ...
//
// It prints the address of its page's server ("origin http://..."), waits for the web socket's address on stdin if
// WEBSOCKET is "-", says "same" when the canvas is the reference, pixel by pixel, and then presses the keys
// and waits for another line, or the end, of stdin.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { extname, join, normalize } from "node:path";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { chromium } from "playwright-core";

const [, , socket, reference, ...keys] = process.argv;
const here = import.meta.dirname;
const page_html = `<!doctype html><title>screen</title><body style="margin:0"><div id=screen style="width:1024px;height:768px"></div>
<script type=module>
import RFB from "/node_modules/@novnc/novnc/core/rfb.js";
window.show = (url) => new Promise((yes, no) => {
  const rfb = new RFB(document.getElementById("screen"), url, {});
  window.rfb = rfb;
  rfb.addEventListener("connect", () => { rfb.focus(); yes(); });
  rfb.addEventListener("disconnect", (e) => no(new Error("disconnected, clean: " + e.detail.clean)));
  rfb.addEventListener("securityfailure", (e) => no(new Error("security: " + e.detail.reason)));
});
// How many pixels differ, or what else does.
window.differ = async () => {
  const canvas = document.querySelector("#screen canvas");
  const img = new Image();
  img.src = "/reference.png?" + Math.random();
  await img.decode();
  if (canvas.width !== img.width || canvas.height !== img.height) return canvas.width + "x" + canvas.height;
  const other = new OffscreenCanvas(img.width, img.height).getContext("2d");
  other.drawImage(img, 0, 0);
  const a = canvas.getContext("2d").getImageData(0, 0, img.width, img.height).data;
  const b = other.getImageData(0, 0, img.width, img.height).data;
  let n = 0;
  for (let i = 0; i < a.length; i += 4) if (a[i] !== b[i] || a[i + 1] !== b[i + 1] || a[i + 2] !== b[i + 2]) n++;
  return n;
};
</script>`;

const types = { ".js": "text/javascript", ".html": "text/html", ".png": "image/png" };
const server = createServer(async (req, res) => {
  const path = normalize(new URL(req.url, "http://x").pathname);
  try {
    if (path === "/") return res.writeHead(200, { "Content-Type": types[".html"] }).end(page_html);
    const file = path === "/reference.png" ? reference : join(here, path);
    const content = await readFile(file);
    res.writeHead(200, { "Content-Type": types[extname(path)] ?? "application/octet-stream" }).end(content);
  } catch {
    res.writeHead(404).end();
  }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const origin = `http://127.0.0.1:${server.address().port}`;
console.log("origin", origin);

let address = socket;
const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
if (socket === "-") address = (await lines.next()).value;

const profile = mkdtempSync(join(tmpdir(), "novnc-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1100, height: 800 },
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const page = context.pages()[0] ?? (await context.newPage());
  page.on("pageerror", (e) => console.error(String(e)));
  await page.goto(origin);
  await page.waitForFunction(() => window.show);
  await page.evaluate((url) => window.show(url), address);
  const late = Date.now() + 60_000;
  for (let n = -1; (n = await page.evaluate(() => window.differ())) !== 0; ) {
    if (Date.now() > late) throw new Error(`the pictures differ: ${n}`);
    await page.waitForTimeout(100);
  }
  console.log("same", await page.evaluate(() => `${window.rfb._fbDepth} bits`));
  for (const key of keys) await page.keyboard.press(key);
  console.log("pressed");
  await lines.next(); // the page stays until what they did was seen
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
process.exit(0); // stdin and kept connections would hold it
