// What sharp takes to prepare pictures: node bench/_peer.cjs ROUNDS SIDE FILE... prints median CPU ms as JSON.
const fs = require("fs");
const sharp = require(require.resolve("sharp", { paths: [process.cwd()] }));
sharp.concurrency(1);
sharp.cache(false);
(async () => {
  const [rounds, side, ...files] = process.argv.slice(2);
  const found = {};
  for (const file of files) {
    const content = fs.readFileSync(file);
    const taken = [];
    for (let round = 0; round <= Number(rounds); round++) {
      const before = process.cpuUsage();
      await sharp(content)
        .resize(Number(side), Number(side), { fit: "inside", withoutEnlargement: true })
        .flatten({ background: "#ffffff" })
        .jpeg({ quality: 85, chromaSubsampling: "4:4:4" })
        .toBuffer();
      const spent = process.cpuUsage(before);
      taken.push((spent.user + spent.system) / 1000);
    }
    const rest = taken.slice(1).sort((a, b) => a - b);
    found[file] = rest[Math.floor(rest.length / 2)];
  }
  console.log(JSON.stringify(found));
})();
