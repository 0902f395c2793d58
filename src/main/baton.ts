process.stderr.write('baton: the command line is not here yet\n');
process.exitCode = 1;
