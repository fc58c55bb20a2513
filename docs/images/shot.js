// Draws terminal output (text with escape sequences) with xterm.js in a headless Chromium, for make.sh:
//   node shot.js SCREEN COLUMNS ROWS OUT.png FONT_SIZE
const fs = require('fs');
const {chromium} = require('playwright-core');
const [screen, columns, rows, out, size] = process.argv.slice(2);
(async () => {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
  const page = await browser.newPage({viewport: {width: columns * size, height: rows * size * 2}});
  const css = fs.readFileSync(require.resolve('@xterm/xterm/css/xterm.css'));
  await page.setContent(`<style>${css} body{margin:0;background:#000}</style><div id=t style="display:inline-block"></div>`);
  await page.addScriptTag({path: require.resolve('@xterm/xterm/lib/xterm.js')});
  await page.evaluate(async ([data, cols, rows, fontSize]) => {
    const term = new Terminal({cols, rows, fontSize, fontFamily: 'DejaVu Sans Mono', convertEol: true});
    term.open(document.getElementById('t'));
    await new Promise((done) => term.write(data + '\x1b[?25l', done));
    await new Promise((done) => setTimeout(done, 200));
  }, [fs.readFileSync(screen, 'utf8').replace(/\n$/, ''), +columns, +rows, +size]);
  await (await page.$('#t')).screenshot({path: out});
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
