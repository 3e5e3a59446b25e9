console.error('no part is built yet')
process.exitCode = 2
