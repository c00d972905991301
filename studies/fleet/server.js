// StatsD's UDP server with a receive buffer that is asked for, rather than the
// system's default. Linux grants twice net.core.rmem_max at most.
const dgram = require('dgram');

exports.start = (config, callback) => {
  dgram.createSocket({ type: 'udp4', recvBufferSize: config.recvBufferSize }, callback)
    .bind(config.port, config.address);
  return true;
};
